package disk

import (
	"math"
	"runtime"
	"strconv"
)

// mostBytes32 bounds the combined size of a process's files on a 32-bit system. bbolt maps
// each file as a whole, rounded up to a power of two, and these mappings share two or three
// GiB of address space with everything else.
const mostBytes32 = 1 << 30

// MostBytes is the maximum combined size of a process's files on this machine.
var MostBytes = mostBytes(strconv.IntSize)

func mostBytes(bits int) int64 {
	if bits < 64 {
		return mostBytes32
	}
	return math.MaxInt64
}

// mapSize returns how much address space to map for a file that may grow to bytes: all of it,
// so that the writer never waits for readers in order to remap. Address space costs no
// memory.
func mapSize(bytes int64) int {
	if runtime.GOOS == "windows" { // there, the file would grow to the size of the mapping
		return 0
	}
	return int(min(bytes, math.MaxInt))
}
