package manifests

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

const composeFile = "deploy/compose/compose.yaml"

// project loads the compose file as `docker compose` does. env is its environment, such as
// "HOLDFAST_VERSION=v1.2.3".
func project(t testing.TB, env ...string) *types.Project {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, composeFile))
	require.NoError(t, err)
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		Environment: types.NewMapping(env),
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

// buildArgs are the arguments of the Dockerfile.
func buildArgs(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^ARG (\w+)=$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The variables that the guide exports are the version, the revision and the date of the
// image. Without them the image builds too, with the defaults of the Dockerfile.
func TestComposeVersion(t *testing.T) {
	commands := regexp.MustCompile("(?ms)^```sh\n(export [^`]*)^```$").FindStringSubmatch(read(t, "docs/guides/compose.md"))
	require.NotNil(t, commands, "the guide exports nothing")
	cmd := exec.Command("bash", "-euc", commands[1]+"env")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	want := map[string]string{
		"VERSION":  git("describe", "--tags", "--always"),
		"REVISION": git("rev-parse", "HEAD"),
		"DATE":     git("log", "-1", "--format=%cI"),
	}
	require.Equal(t, buildArgs(t), slices.Sorted(maps.Keys(want)))
	have := map[string]string{}
	for name, value := range project(t, strings.Split(strings.TrimSpace(string(out)), "\n")...).Services["holdfast"].Build.Args {
		have[name] = *value
	}
	require.Equal(t, want, have)
	for name, value := range project(t).Services["holdfast"].Build.Args {
		require.Equal(t, "", *value, name)
	}
}

// Every build of the image in a checkout says which version, revision and date it is.
func TestBuildsOfTheImage(t *testing.T) {
	guides, err := filepath.Glob(filepath.Join(root, "docs/guides/*.md"))
	require.NoError(t, err)
	builds := 0
	for _, guide := range guides {
		text, err := os.ReadFile(guide)
		require.NoError(t, err)
		for _, build := range regexp.MustCompile(`(?m)^docker build .* \.$`).FindAllString(string(text), -1) {
			builds++
			for _, name := range buildArgs(t) {
				require.Contains(t, build, "--build-arg "+name+"=", guide)
			}
		}
	}
	require.Equal(t, 2, builds, "Docker, Kubernetes")
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
