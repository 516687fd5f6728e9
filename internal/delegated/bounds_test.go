package delegated

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A body of maxBody bytes is read whole; of a longer one, only maxBody bytes are read.
func TestMaxBody(t *testing.T) {
	for over := range 2 {
		var got []byte
		var err error
		e := &endpoint{next: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, err = io.ReadAll(r.Body) })}
		body := strings.NewReader(strings.Repeat("x", maxBody+over))
		e.serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/routing/v1/ipns/name", body), typeJSON)
		require.Len(t, got, maxBody)
		require.Equal(t, over > 0, err != nil)
	}
}
