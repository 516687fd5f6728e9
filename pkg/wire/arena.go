package wire

// addrArena hands out address slices for the entries of one message, so that a
// fresh message of 20 peers costs a few allocations instead of 20.
type addrArena struct {
	free    [][]byte // length 0; its capacity is free
	used    bool     // it has allocated before
	lending bool     // between take and give: the slice is from the arena
}

// Addresses per allocation: a message with one peer has a handful, a message with 20 peers
// two or more for each.
const (
	arenaFirst = 8
	arenaStep  = 64
)

// take returns an empty slice to append to: old if it has capacity, otherwise the rest of
// the arena. The caller must call give afterwards.
func (a *addrArena) take(old [][]byte) [][]byte {
	a.lending = cap(old) == 0
	if !a.lending {
		return old[:0]
	}
	if cap(a.free) == 0 {
		n := arenaFirst
		if a.used {
			n = arenaStep
		}
		a.free, a.used = make([][]byte, 0, n), true
	}
	return a.free
}

// give returns s with its capacity cut to its length, so that appending to it does not
// overwrite the addresses of the next entry. The arena keeps the rest.
func (a *addrArena) give(s [][]byte) [][]byte {
	if !a.lending {
		return s
	}
	a.free = s[len(s):]
	if len(s) == 0 {
		return nil
	}
	return s[:len(s):len(s)]
}
