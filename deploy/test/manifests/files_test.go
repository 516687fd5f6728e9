package manifests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// root is the repository.
const root = "../../.."

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(data)
}

// found returns what a pattern matches in a file of the repository.
func found(t testing.TB, path, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(read(t, path))
	require.NotNil(t, m, "%s has no %s", path, pattern)
	return m[1]
}

// duration returns a duration that a pattern matches in a file of the repository.
func duration(t testing.TB, path, pattern string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(found(t, path, pattern))
	require.NoError(t, err)
	return d
}

// program is the path of the command: $HOLDFAST_BIN, or one that is built here.
var program = os.Getenv("HOLDFAST_BIN")

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if program != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "holdfast-manifests-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "holdfast")
		build := exec.Command("go", "build", "-o", program, "./cmd/holdfast")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// settings returns the effective settings of a configuration, by key. env is the environment
// of the container, such as "HOLDFAST_STORAGE__PATH=/data".
func settings(t testing.TB, config string, env ...string) map[string]any {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command(program, "config", "print", "--json", "--config", file)
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	require.NoError(t, err, problem.String())
	values := map[string]any{}
	for line := range strings.Lines(string(out)) {
		var k struct {
			Key   string
			Value any
		}
		require.NoError(t, json.Unmarshal([]byte(line), &k))
		values[k.Key] = k.Value
	}
	return values
}

// imageEnv is the environment that the Dockerfile sets.
func imageEnv(t testing.TB) []string {
	env := regexp.MustCompile(`HOLDFAST_[A-Z_]+=\S+`).FindAllString(read(t, "Dockerfile"), -1)
	require.NotEmpty(t, env)
	return env
}

// port returns the port at the end of host:port.
func port(t testing.TB, hostport any) string {
	t.Helper()
	text, ok := hostport.(string)
	require.True(t, ok, "%v", hostport)
	return text[strings.LastIndex(text, ":")+1:]
}
