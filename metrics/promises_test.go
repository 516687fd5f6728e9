package metrics_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/holdfast-dht/holdfast/internal/promisetest"
	"github.com/holdfast-dht/holdfast/metrics"
)

// promises returns a metric with its type and labels, and each value that a label has before
// any event.
func promises(f *dto.MetricFamily) []string {
	var labels, values []string
	for i, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if i == 0 {
				labels = append(labels, l.GetName())
			}
			values = append(values, fmt.Sprintf("%s{%s=%q}", f.GetName(), l.GetName(), l.GetValue()))
		}
	}
	if f.GetName() == metrics.Namespace+"_build_info" {
		values = nil // they differ from build to build
	}
	slices.Sort(values)
	kind := strings.ToLower(f.GetType().String())
	return append([]string{fmt.Sprintf("%s %s {%s}", kind, f.GetName(), strings.Join(labels, ","))}, slices.Compact(values)...)
}

// A changed line of the list breaks a dashboard or an alert of a user.
func TestPromisedMetrics(t *testing.T) {
	var all []string
	for _, f := range ours(t, metrics.New("v1.2.3", "abc")) {
		all = append(all, promises(f)...)
	}
	promisetest.Check(t, "testdata/metrics.txt", all)
}
