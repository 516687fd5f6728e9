package daemon

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// systemd listens on $NOTIFY_SOCKET. The function it returns waits for a message that
// contains want and returns the message.
func systemd(t *testing.T) func(want string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenPacket("unixgram", path)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func(want string) string {
		t.Helper()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		for buf := make([]byte, 4096); ; {
			n, _, err := conn.ReadFrom(buf)
			require.NoError(t, err, want)
			if strings.Contains(string(buf[:n]), want) {
				return string(buf[:n])
			}
		}
	}
}

func TestSystemdStatusInEachPhase(t *testing.T) {
	told := systemd(t)
	o, _ := options(t, t.TempDir())
	bad := errors.New("line one\nREADY=0")
	o.Reload = func() (*config.Loaded, error) { return nil, bad }
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	told("STATUS=opening the database")
	told("STATUS=opening the listeners")
	told("READY=1")
	require.Equal(t, "STATUS=Waiting for peers: no bootstrap peer is configured, so other nodes must connect to this one; peer "+d.ID().String()+", serving /test/kad/1.0.0; 0 peers in the table, 0 records held", told("STATUS="))
	require.Error(t, d.Reload())
	told("RELOADING=1")
	require.Equal(t, "STATUS=configuration not reloaded: line one; READY=0", told("STATUS="), "one message")
	told("READY=1")
	require.Contains(t, d.doing(), "not reloaded: line one")
	o.Loaded.Config.Log.Level = "warn"
	d.options.Reload = func() (*config.Loaded, error) { return o.Loaded, nil }
	require.NoError(t, d.Reload())
	require.NotContains(t, d.doing(), "reloaded")
	require.NoError(t, d.Close())
	told("STOPPING=1")
	told("STATUS=stopping: node")
}

func TestSystemdIsToldWhyItDidNotStart(t *testing.T) {
	told := systemd(t)
	dir := t.TempDir()
	first := start(t, dir)
	defer first.Close()
	told("READY=1")
	o, _ := options(t, dir)
	_, err := Start(o)
	require.ErrorIs(t, err, ErrInUse)
	told("STATUS=not started: " + ErrInUse.Error())
}

func TestLongStepsAskForMoreTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		tell := func(state string) { told = append(told, state) }
		want := errors.New("x")
		require.ErrorIs(t, extending(tell, func() error { time.Sleep(extendEvery / 2); return want }), want)
		require.Empty(t, told, "a short step asks for nothing")
		require.NoError(t, extending(tell, func() error { time.Sleep(3*extendEvery + 1); return nil }))
		require.Equal(t, []string{"EXTEND_TIMEOUT_USEC=60000000", "EXTEND_TIMEOUT_USEC=60000000", "EXTEND_TIMEOUT_USEC=60000000"}, told)
		told = nil
		require.NoError(t, extending(tell, func() error { time.Sleep(3 * extendLimit); return nil }))
		require.Len(t, told, int(extendLimit/extendEvery), "a step that hangs is not waited for")
	})
	require.Greater(t, extendBy, 2*extendEvery)
}

func TestWatchdogIsNotFedWithoutSignOfLife(t *testing.T) {
	told := systemd(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	o, logs := options(t, t.TempDir())
	hang := make(chan struct{})
	asked := make(chan struct{}, 100)
	alive := func(ctx context.Context) error {
		asked <- struct{}{}
		return within(ctx, func() error { <-hang; return nil })
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); watchdog(ctx, o.Logs.Logger("daemon"), alive) }()
	for range 5 {
		<-asked
	}
	require.Contains(t, logs.String(), "the daemon is not healthy")
	notify(o.Logs.Logger("daemon"), "MARK=1")
	require.Equal(t, "MARK=1", told(""), "nothing was fed before")
	close(hang)
	told("WATCHDOG=1")
	cancel()
	<-done
}

func TestWithoutListenersItIsNotHealthy(t *testing.T) {
	d := start(t, t.TempDir())
	defer d.Close()
	require.NoError(t, d.Healthy(t.Context()))
	network := d.host.Network()
	network.(interface{ ListenClose(...ma.Multiaddr) }).ListenClose(network.ListenAddresses()...)
	require.ErrorIs(t, d.Healthy(t.Context()), errDeaf)
}
