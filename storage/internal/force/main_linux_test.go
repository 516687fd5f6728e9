//go:build force

package force

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// forceEnv selects how much is done: "ci" or "full". Unset: nothing.
const forceEnv = "HOLDFAST_FORCE"

// seedEnv repeats a run. Unset: a new seed each time.
const seedEnv = "HOLDFAST_FORCE_SEED"

// TestMain also runs the process that writes to a store until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		os.Exit(writer(dir))
	}
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// forced skips a test unless forceEnv is set, and returns the number of rounds.
func forced(t *testing.T, ci, full int) int {
	t.Helper()
	switch os.Getenv(forceEnv) {
	case "ci":
		return ci
	case "full":
		return full
	}
	t.Skipf("%s is not set; storage/internal/force/run does it", forceEnv)
	return 0
}

// random returns the random source of the test and logs its seed.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%s=%d", seedEnv, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// built is the directory of the program under test.
var built string

// holdfast builds the program once.
var holdfast = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "holdfast-force-bin")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "holdfast")
	out, err := exec.Command("go", "build", "-o", path, "../../../cmd/holdfast").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func program(t *testing.T) string {
	t.Helper()
	path, err := holdfast()
	require.NoError(t, err)
	return path
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		pause(10 * time.Millisecond)
	}
}

// patience bounds the wait for events that should be quick. No test waits for it to pass.
const patience = 90 * time.Second

// pause lets other processes run.
func pause(d time.Duration) { <-time.After(d) }
