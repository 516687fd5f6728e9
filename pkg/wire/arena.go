package wire

// addrArena hands out address slices for the entries of one message, so that a
// fresh message of 20 peers costs a few allocations instead of 20.
type addrArena struct {
	free    [][]byte // length 0; its capacity is what is left
	used    bool     // an allocation was made before
	lending bool     // between take and give: the slice is the arena's
}

// Addresses per allocation: a message of one peer has a handful, one of 20 peers
// two or more each.
const (
	arenaFirst = 8
	arenaStep  = 64
)

// take returns an empty slice to append to: old if it has room, else the rest of
// the arena. give must follow.
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

// give returns s cut to its length, so that appending to it never reaches into
// the next entry's addresses, and keeps what is left behind it.
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
