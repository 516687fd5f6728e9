package daemon

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A request with a header of webHeaders bytes is answered; a longer one is rejected.
func TestWebHeaders(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	w, err := newWeb("metrics.listen", anyLocalPort, slog.New(slog.DiscardHandler), ok, time.Minute)
	require.NoError(t, err)
	defer w.close(t.Context())
	for over, status := range []int{http.StatusNoContent, http.StatusRequestHeaderFieldsTooLarge} {
		conn, err := net.Dial("tcp", w.addr)
		require.NoError(t, err)
		defer conn.Close()
		head, tail := "GET / HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n"
		_, err = conn.Write([]byte(head + strings.Repeat("x", webHeaders+over-len(head)-len(tail)) + tail))
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode)
	}
}
