package balance

// Key is the hash of an address by which sessions remember a host. It is the same
// in every proxy and in every version: cookies hold it. It hides an address from
// the eye only; whoever can guess addresses can check them.
func Key(address string) uint64 {
	// FNV-1a, finished by a mixer: its own high bits are poor for short texts.
	h := uint64(0xcbf29ce484222325)
	for i := range len(address) {
		h = (h ^ uint64(address[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64: every bit of the input changes half of the
// bits of the output.
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// golden is 2^64 divided by the golden ratio. Its multiples, modulo 2^64, are
// spread more evenly than those of any other number.
const golden = 0x9e3779b97f4a7c15
