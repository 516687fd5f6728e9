package deploytest

import (
	"bytes"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	dataquery "github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/stretchr/testify/require"
)

// TestDashboardSchema decodes the dashboard with Grafana's own types: a misspelt or missing
// field is an error. The list of alerts has no types there.
func TestDashboardSchema(t *testing.T) {
	types := cog.NewRuntime()
	types.RegisterDataqueryVariant(dataquery.VariantConfig())
	types.RegisterPanelcfgVariant(stat.VariantConfig())
	types.RegisterPanelcfgVariant(table.VariantConfig())
	types.RegisterPanelcfgVariant(timeseries.VariantConfig())
	types.RegisterPanelcfgVariant(heatmap.VariantConfig())
	data, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	require.Empty(t, new(dashboard.Dashboard).UnmarshalJSONStrict(data).Error()) // without errors it returns an empty list of them

	for _, field := range []string{"schemaVersion", "collapsed", "thresholdsStyle", "graphMode", "cellHeight", "legendFormat", "exponent"} {
		misspelt := bytes.Replace(data, []byte(`"`+field+`"`), []byte(`"`+field+`x"`), 1)
		require.Contains(t, new(dashboard.Dashboard).UnmarshalJSONStrict(misspelt).Error(), "x'", field)
	}
}
