package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

const composeFile = "deploy/compose/compose.yaml"

// project loads the compose file as `docker compose` does.
func project(t testing.TB) *types.Project {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, composeFile))
	require.NoError(t, err)
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  filepath.Dir(path),
		ConfigFiles: []types.ConfigFile{{Filename: path}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"grafana", "holdfast", "prometheus"}, p.ServiceNames())
	return p
}

// Every mounted file exists, and is mounted read-only; everything else is in a named volume.
func TestComposeMounts(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				_, err := os.Stat(v.Source)
				require.NoError(t, err, name)
				require.True(t, v.ReadOnly, "%s: %s", name, v.Source)
			} else {
				require.Contains(t, p.Volumes, v.Source, name)
			}
		}
		require.Equal(t, "host", s.NetworkMode, name)
		require.Empty(t, s.Ports, name)
		require.Equal(t, types.RestartPolicyUnlessStopped, s.Restart, name)
		if s.Build == nil {
			require.Regexp(t, `:v?\d+\.\d+\.\d+$`, s.Image, "%s: a release, so that an upgrade is a decision", name)
		}
	}
}

// mounted returns the path in the repository of what is mounted in a service.
func mounted(t testing.TB, s types.ServiceConfig, target string) string {
	t.Helper()
	top, err := filepath.Abs(root)
	require.NoError(t, err)
	for _, v := range s.Volumes {
		if rest, ok := strings.CutPrefix(target, v.Target); ok && v.Type == types.VolumeTypeBind {
			path, err := filepath.Rel(top, v.Source+rest)
			require.NoError(t, err)
			return path
		}
	}
	require.Fail(t, "nothing is mounted there", target)
	return ""
}

// The node is built from the checkout, with the rights of the image and its configuration.
func TestComposeNode(t *testing.T) {
	s := project(t).Services["holdfast"]
	_, err := os.Stat(filepath.Join(s.Build.Context, "Dockerfile"))
	require.NoError(t, err)
	require.True(t, s.ReadOnly)
	require.Equal(t, []string{"ALL"}, s.CapDrop)
	require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt)
	require.Equal(t, duration(t, "deploy/systemd/holdfast.service", `(?m)^TimeoutStopSec=(\S+)$`), time.Duration(*s.StopGracePeriod))
	require.Equal(t, "data:"+found(t, "Dockerfile", `(?m)^VOLUME (\S+)$`), s.Volumes[0].Source+":"+s.Volumes[0].Target)

	env := imageEnv(t)
	for name, value := range s.Environment {
		env = append(env, name+"="+*value)
	}
	values := settings(t, read(t, mounted(t, s, "/etc/holdfast/config.toml")), env...)
	listen := values["metrics.listen"].(string)
	require.Equal(t, settings(t, "")["metrics.listen"], listen, "not open to other machines")
	require.Contains(t, read(t, mounted(t, project(t).Services["prometheus"], "/etc/prometheus/prometheus.yml")), "- "+listen+" ")
}

// Prometheus loads the rules, Grafana finds Prometheus and the dashboard, and neither is open
// to other machines.
func TestComposeMonitoring(t *testing.T) {
	p := project(t)
	prometheus, grafana := p.Services["prometheus"], p.Services["grafana"]
	config := regexp.MustCompile(`--config.file=(\S+)`).FindStringSubmatch(strings.Join(prometheus.Command, " "))[1]
	listen := regexp.MustCompile(`--web.listen-address=(\S+)`).FindStringSubmatch(strings.Join(prometheus.Command, " "))[1]
	file := mounted(t, prometheus, config)
	rules := found(t, file, `(?m)^rule_files:\n  - (\S+)$`)
	require.NotEmpty(t, read(t, filepath.Join(filepath.Dir(file), rules)))

	require.Equal(t, "127.0.0.1:9090", listen)
	require.Equal(t, "127.0.0.1", *grafana.Environment["GF_SERVER_HTTP_ADDR"])
	source := mounted(t, grafana, "/etc/grafana/provisioning/datasources/holdfast.yml")
	require.Equal(t, "http://"+listen, found(t, source, `(?m)^    url: (\S+)$`))
	boards := found(t, mounted(t, grafana, "/etc/grafana/provisioning/dashboards/holdfast.yml"), `(?m)^      path: (\S+)$`)
	require.Equal(t, "deploy/grafana/holdfast.json", mounted(t, grafana, boards+"/holdfast.json"))
}
