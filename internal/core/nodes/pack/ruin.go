package pack

import (
	"math/rand/v2"
	"slices"
)

// ruin takes a few bins apart and packs what was in them anew, and keeps what is
// cheaper, until the price is down to target or enough says so: ruin and
// recreate. Bins that hold little value for their price are taken more often.
func (s *search) ruin(loads []Load, b *builder, target float64, enough func() bool) []Load {
	loads = slices.Clone(loads)
	price := s.packer.price(loads)
	count := make([]int, len(s.items))
	b.rng = s.rng
	for idle := 0; price > target && idle < 3000 && len(loads) > 0 && !enough() && !s.effort.spent(); idle++ {
		picked := s.pick(loads, b.value, s.rng, 2+s.rng.IntN(5))
		old := 0.0
		for _, n := range picked {
			for _, h := range loads[n].Shares {
				count[h.Item] += h.Count
			}
			b.take(loads[n].Bin, -1)
			old += s.bins[loads[n].Bin].price
		}
		b.thorough = s.rng.IntN(2) == 0
		fresh, now := b.build(count)
		if left := slices.ContainsFunc(b.active, func(i int32) bool { return count[i] > 0 }); left || now > old {
			b.undo(fresh, picked, loads)
			clear(count)
			continue
		}
		if now < old {
			idle = 0
		}
		price += now - old
		for _, n := range picked {
			loads[n].Times--
		}
		loads = append(loads, fresh...)
		loads = slices.DeleteFunc(loads, func(l Load) bool { return l.Times == 0 })
	}
	return loads
}

// undo gives limits back what a build took, and takes again what stays.
func (b *builder) undo(fresh []Load, picked []int, loads []Load) {
	for _, l := range fresh {
		b.take(l.Bin, -l.Times)
	}
	for _, n := range picked {
		b.take(loads[n].Bin, 1)
	}
}

// pick chooses bins: each time the worse of two at random, all different, and
// never more of one load than it has.
func (k *packer) pick(loads []Load, value []float64, rng *rand.Rand, n int) []int {
	waste := func(l *Load) float64 {
		v := 0.0
		for _, s := range l.Shares {
			v += value[s.Item] * float64(s.Count)
		}
		return 1 - v/k.bins[l.Bin].price
	}
	var out []int
	for range n {
		a, c := rng.IntN(len(loads)), rng.IntN(len(loads))
		if waste(&loads[c]) > waste(&loads[a]) {
			a = c
		}
		have := 0
		for _, o := range out {
			if o == a {
				have++
			}
		}
		if have < loads[a].Times {
			out = append(out, a)
		}
	}
	return out
}

func (k *packer) price(loads []Load) float64 {
	sum := 0.0
	for _, l := range loads {
		sum += k.bins[l.Bin].price * float64(l.Times)
	}
	return sum
}
