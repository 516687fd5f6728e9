package memlimit_test

import (
	"os"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/memlimit"
)

const machine = "MemTotal:        8000 kB\nMemFree:         1000 kB\n"

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no Linux", nil, 0},
		{"no control groups", map[string]string{"proc/meminfo": machine}, 8000 << 10},
		{"version 2 without a limit", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/holdfast.service\n",
			"sys/fs/cgroup/system.slice/holdfast.service/memory.max": "max\n",
		}, 8000 << 10},
		{"version 2", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/holdfast.service\n",
			"sys/fs/cgroup/system.slice/holdfast.service/memory.max": "4096000\n",
			"sys/fs/cgroup/system.slice/memory.max":                  "max\n",
		}, 4096000},
		{"the parent has less", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/holdfast.service\n",
			"sys/fs/cgroup/system.slice/holdfast.service/memory.max": "4096000\n",
			"sys/fs/cgroup/system.slice/memory.max":                  "2048000\n",
		}, 2048000},
		{"a container with its own namespace", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096000\n",
		}, 4096000},
		{"a namespace that the process was moved out of", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/../other\n", "sys/fs/cgroup/memory.max": "4096000\n",
			"sys/fs/memory.max": "1\n",
		}, 4096000},
		{"version 1", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "9:name=systemd:/\n4:memory:/docker/abc\n3:cpuset,cpu:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "4096000\n",
			"sys/fs/cgroup/cpuset/memory.limit_in_bytes":     "1\n",
			"sys/fs/cgroup/docker/abc/memory.limit_in_bytes": "1\n",
		}, 4096000},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "4:cpu,memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 8000 << 10},
		{"more than the machine has", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999\n",
		}, 8000 << 10},
		{"damaged", map[string]string{
			"proc/meminfo": "MemTotal: many kB\n", "proc/self/cgroup": "\n:\n0\n0:memory\n0::/a\n", "sys/fs/cgroup/a/memory.max": "-1\n",
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			require.Equal(t, c.want, memlimit.Read(root))
		})
	}
}

func TestThisMachine(t *testing.T) {
	limit := memlimit.Read(os.DirFS("/"))
	if runtime.GOOS == "linux" {
		require.Greater(t, limit, int64(16<<20))
	} else {
		require.Zero(t, limit)
	}
}
