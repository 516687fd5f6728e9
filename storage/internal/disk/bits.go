package disk

import (
	"math"
	"runtime"
	"strconv"
)

// mostBytes32 bounds the files of a process together where addresses have 32 bits:
// bbolt maps a file as a whole, rounded up to a power of two, and what it maps shares
// two or three GiB with everything else.
const mostBytes32 = 1 << 30

// MostBytes is how long the files of a process may be together on this machine.
var MostBytes = mostBytes(strconv.IntSize)

func mostBytes(bits int) int64 {
	if bits < 64 {
		return mostBytes32
	}
	return math.MaxInt64
}

// MapSize is the address space to map for a file that may reach so many bytes: room
// for all of it, so that the writer never waits for readers to map it again. It costs
// no memory.
func MapSize(bytes int64) int {
	if runtime.GOOS == "windows" { // where the file would grow with it
		return 0
	}
	return int(min(bytes, math.MaxInt))
}
