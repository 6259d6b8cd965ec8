package pack

// Problem is what to pack and what into.
type Problem struct {
	Items []Item
	Bins  []Bin
	// Limits bound sums over all bins bought; see [Bin.Uses].
	Limits []int64
	// Owned are bins that exist: each can be filled once, for nothing.
	Owned []Owned
}

// Item is a number of things that are alike.
type Item struct {
	// Size in each dimension; all items and bins have the same number of them.
	Size  []int64
	Count int
	// PerBin bounds how many go into one bin; 0 does not.
	PerBin int
	// Apart are items that never share a bin with this one. The relation must be
	// symmetric.
	Apart []int
}

// Bin is a kind of bin that can be bought any number of times.
type Bin struct {
	Size []int64
	// Price is minimised; Cost is what [Solution.CostBound] bounds. They differ
	// when the price holds more than money.
	Price, Cost int64
	// Accepts says which items may go in; nil accepts all.
	Accepts Set
	// Uses says how much each bin bought takes of limits.
	Uses []Use
}

// Use takes Amount of Problem.Limits[Limit] for each bin bought.
type Use struct {
	Limit  int
	Amount int64
}

// Owned is one bin that exists, as it is now.
type Owned struct {
	Size    []int64
	Accepts Set
	// Caps bound single items below their PerBin because of what is in already.
	Caps []Share
}

// Share is a number of one item.
type Share struct{ Item, Count int }

// Load is a kind of bin filled in one way, a number of times.
type Load struct {
	Bin, Times int
	Shares     []Share // by item, each once
}

// Solution says what goes where.
type Solution struct {
	Loads []Load
	// Owned are the shares that each existing bin gets.
	Owned [][]Share
	// Left counts the items that found no place, by item: no bin accepts them, or
	// the limits are used up.
	Left []int
	// Price is the sum over the loads.
	Price int64
	// Bound and CostBound are proven lower bounds of the sums of Price and of Cost
	// over any solution that leaves no more items.
	Bound, CostBound int64
	// Steps that were taken.
	Steps int
}

// Set is a set of small integers.
type Set []uint64

// NewSet makes a set that can hold integers below n.
func NewSet(n int) Set { return make(Set, (n+63)/64) }

// Add puts i in.
func (s Set) Add(i int) { s[i/64] |= 1 << (i % 64) }

// Has says whether i is in; a nil set has everything.
func (s Set) Has(i int) bool { return s == nil || s[i/64]&(1<<(i%64)) != 0 }

// Covers says whether s has everything that o has.
func (s Set) Covers(o Set) bool {
	if s == nil {
		return true
	}
	if o == nil {
		return false
	}
	for i := range o {
		if o[i]&^s[i] != 0 {
			return false
		}
	}
	return true
}
