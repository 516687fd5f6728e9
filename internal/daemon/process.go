package daemon

import (
	"os"
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/holdfast-dht/holdfast/internal/memlimit"
)

// process is what this process uses of the machine. A limit of 0 is unknown.
type process struct {
	memory, memoryLimit           int64 // bytes, without mapped pages of the database
	descriptors, descriptorsLimit int
}

// descriptorGauges read the open file descriptors and their limit, on every system that
// Prometheus' client supports.
var descriptorGauges = func() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}()

func readProcess() process {
	p := process{memory: heldMemory(), memoryLimit: memlimit.Read(os.DirFS("/"))}
	families, _ := descriptorGauges.Gather() // what cannot be read stays 0
	for _, f := range families {
		value := int(f.GetMetric()[0].GetGauge().GetValue())
		switch f.GetName() {
		case "process_open_fds":
			p.descriptors = value
		case "process_max_fds":
			p.descriptorsLimit = value
		}
	}
	return p
}

// heldMemory returns the memory that Go's runtime holds, as the metrics
// go_memstats_sys_bytes less go_memstats_heap_released_bytes.
func heldMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64()) - int64(s[1].Value.Uint64())
}
