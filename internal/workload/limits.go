package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Limits are the limits of the disk and the machine.
type Limits struct {
	FsyncP50 float64 `json:"fsync_p50_us"` // append 4 KiB, fdatasync
	FsyncP99 float64 `json:"fsync_p99_us"`
	WriteMBs float64 `json:"sequential_write_mb_s"` // 256 MiB including its fsync
	CPUs     int     `json:"cpus"`
	Go       string  `json:"go"`
	Platform string  `json:"platform"`
}

// String returns the line above the table.
func (l *Limits) String() string {
	return fmt.Sprintf("this disk: append of 4 KiB with fsync p50 %.0f us, p99 %.0f us; sequential write %.0f MB/s; %d CPUs, %s, %s",
		l.FsyncP50, l.FsyncP99, l.WriteMBs, l.CPUs, l.Go, l.Platform)
}

// measureLimits measures the disk of dir.
func measureLimits(dir string) (l Limits, err error) {
	l = Limits{CPUs: runtime.NumCPU(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	f, err := os.Create(filepath.Join(dir, "limits"))
	if err != nil {
		return l, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took latencies
	page := make([]byte, 4096)
	for range 500 {
		begin := time.Now()
		if _, err := f.Write(page); err != nil {
			return l, err
		}
		if err := f.Sync(); err != nil {
			return l, err
		}
		took.add(time.Since(begin))
	}
	l.FsyncP50, l.FsyncP99 = took.us(0.5), took.us(0.99)
	const total = 256 << 20
	chunk := make([]byte, 1<<20)
	begin := time.Now()
	for n := 0; n < total; n += len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			return l, err
		}
	}
	if err := f.Sync(); err != nil {
		return l, err
	}
	l.WriteMBs = total / 1e6 / time.Since(begin).Seconds()
	return l, nil
}
