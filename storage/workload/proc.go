package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// usage is what the process has used so far.
type usage struct {
	at    time.Time
	cpu   time.Duration
	wrote int64 // bytes given to write calls
}

func measure() usage {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return usage{at: time.Now(), cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), wrote: procNumber("io", "wchar:")}
}

// since returns what was used since u.
func (u usage) since() (took, cpu time.Duration, wrote int64) {
	now := measure()
	return now.at.Sub(u.at), now.cpu - u.cpu, now.wrote - u.wrote
}

// procNumber reads a number of this process from /proc; 0 where there is none.
func procNumber(file, name string) (n int64) {
	b, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			_, _ = fmt.Sscan(rest, &n)
		}
	}
	return n
}

// anonymous returns the memory of this process that no file backs, in bytes: heap
// and stacks, but not pages of a mapped file, which the system takes back at will.
func anonymous() int64 { return procNumber("status", "RssAnon:") << 10 }

// quiet waits until the process has stopped writing, so that what the work before
// has left to do is not taken for the cost of what follows. Not for ever: a store
// may have a lot to do.
func quiet() {
	const still, poll, most = 5, 100 * time.Millisecond, 30 * time.Second
	begin, n, last := time.Now(), 0, int64(-1)
	for n < still && time.Since(begin) < most {
		now := procNumber("io", "wchar:")
		if n++; now-last > 1<<16 {
			n = 0
		}
		last = now
		time.Sleep(poll)
	}
}

// peak is the most anonymous memory seen.
type peak struct{ bytes atomic.Int64 }

// watch samples until stop is closed.
func (p *peak) watch(stop <-chan struct{}) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		p.bytes.Store(max(p.bytes.Load(), anonymous()))
		select {
		case <-stop:
			return
		case <-t.C:
		}
	}
}

// dirBytes returns the lengths of all files below dir.
func dirBytes(dir string) (n int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if os.IsNotExist(err) {
			return nil // an LSM tree removes files at any time
		}
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	return n, err
}
