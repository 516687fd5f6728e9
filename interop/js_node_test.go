package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// jsInfo is a peer in the JSON of js/node.mjs.
type jsInfo struct {
	Peer  string   `json:"peer"`
	Addrs []string `json:"addrs"`
}

// jsResult is the result of an operation of the js node.
type jsResult struct {
	Answered  []string `json:"answered"`
	Errors    []string `json:"errors"`
	Providers []jsInfo `json:"providers"`
	Closest   []string `json:"closest"`
	Peer      *jsInfo  `json:"peer"`
	Value     string   `json:"value"` // hex
	Key       string   `json:"key"`   // hex
	Size      int      `json:"size"`
	Path      string   `json:"path"`
	Sequence  int      `json:"sequence"`
}

// jsNode is a js-libp2p node in a child process; see js/node.mjs. One call at a time.
type jsNode struct {
	*proc
	info jsInfo
	next int
}

// jsDir is where interop/run installed the npm packages, beside copies of js/*.mjs.
func jsDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("HOLDFAST_INTEROP_JS")
	if dir == "" {
		needed(t, "HOLDFAST_INTEROP_JS")
	}
	return dir
}

func newJS(t testing.TB, args ...string) *jsNode {
	t.Helper()
	dir := jsDir(t)
	node, err := exec.LookPath("node")
	require.NoError(t, err)
	args = append([]string{"--import", "./node20.mjs", "node.mjs"}, args...)
	n := &jsNode{proc: start(t, "js", dir, nil, node, args...)}
	m, _ := n.waitFor(`^\{"ready":(.*)\}$`, time.Minute)
	require.NoError(t, json.Unmarshal([]byte(m[1]), &n.info))
	require.NotEmpty(t, n.info.Addrs)
	return n
}

// call runs one operation of js/node.mjs.
func (n *jsNode) call(op string, args map[string]any) (jsResult, error) {
	n.t.Helper()
	n.next++
	req := map[string]any{"id": n.next, "op": op}
	for k, v := range args {
		req[k] = v
	}
	b, err := json.Marshal(req)
	require.NoError(n.t, err)
	_, err = n.stdin.Write(append(b, '\n'))
	require.NoError(n.t, err)
	m, _ := n.waitFor(fmt.Sprintf(`^(\{"id":%d,.*\})$`, n.next), 90*time.Second)
	var answer struct {
		OK    *jsResult
		Error string
	}
	require.NoError(n.t, json.Unmarshal([]byte(m[1]), &answer))
	if answer.OK == nil {
		return jsResult{}, fmt.Errorf("js: %s", answer.Error)
	}
	return *answer.OK, nil
}

// must is call for an operation that may not fail.
func (n *jsNode) must(op string, args map[string]any) jsResult {
	n.t.Helper()
	r, err := n.call(op, args)
	require.NoError(n.t, err, op)
	return r
}

// needed reports that a suite is not installed. Under interop/run, which installs
// everything, that is an error; otherwise it skips the test.
func needed(t testing.TB, name string) {
	t.Helper()
	if os.Getenv("HOLDFAST_INTEROP") != "" {
		t.Fatalf("%s is not set although HOLDFAST_INTEROP is", name)
	}
	t.Skipf("%s is not set; interop/run installs what this needs", name)
}
