package verdict

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// minutes formats a duration as an alert's "for" has it.
func minutes(d time.Duration) string { return fmt.Sprintf("for: %dm\n", d/time.Minute) }

// The alerts have the thresholds of the verdict where the comment on the constants says so.
func TestAlertsHaveTheSameThresholds(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/prometheus/holdfast.rules.yml")
	require.NoError(t, err)
	for _, tt := range []struct{ alert, has string }{
		{"RoutingTableLow", fmt.Sprintf(`holdfast_routing_table_verified_peers{job="holdfast"} < %d`+"\n", LowTable)},
		{"RoutingTableLow", fmt.Sprintf(`max_over_time(holdfast_network_size_estimate{job="holdfast"}[7d]) > %d`+"\n", smallNetwork)},
		{"RoutingTableLow", minutes(lowAfter)},
		{"MemoryHigh", fmt.Sprintf(`instance:holdfast_memory_held:ratio{job="holdfast"} > %g`+"\n", MemoryHigh)},
		{"FDsHigh", fmt.Sprintf(`process_open_fds{job="holdfast"} / process_max_fds{job="holdfast"} > %g`+"\n", DescriptorsHigh)},
		{"DiskFilling", fmt.Sprintf(`holdfast_disk_free_bytes{job="holdfast"} < %d * 2 ^ 30 and instance:holdfast_disk_free:ratio{job="holdfast"} < %g`+"\n", diskLowBytes>>30, diskLow)},
	} {
		_, alert, ok := strings.Cut(string(rules), "- alert: Holdfast"+tt.alert+"\n")
		require.True(t, ok, tt.alert)
		alert, _, _ = strings.Cut(alert, "- alert: ")
		if !strings.Contains(alert, tt.has) {
			t.Errorf("Holdfast%s differs from the verdict, it has no %q: change both, or the comment on the thresholds in rules.go", tt.alert, tt.has)
		}
	}
}
