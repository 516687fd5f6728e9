package daemon

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// The error of a full, failed or busy node is one sentence, without the operations of
// each package.
func TestNodeErrorOfTheStore(t *testing.T) {
	for says, cause := range map[string]error{
		"too many writes wait for the database; try again later":                         records.ErrBusy,
		"too many queries are running; try again later":                                  dht.ErrBusy,
		"the disk of the database is full":                                               fmt.Errorf("%w: %w", records.ErrFull, storage.ErrDiskFull),
		"the database is full (storage.max_bytes)":                                       records.ErrFull,
		"the database accepts no writes until the daemon is restarted; its log says why": storage.ErrFailed,
	} {
		err := fmt.Errorf("publish: %w", fmt.Errorf("publish: %w", cause))
		var e *api.Error
		require.ErrorAs(t, nodeError(err), &e)
		require.Equal(t, says, e.Message)
	}
}

// A bad argument has another code than a fault of the daemon.
func TestNodeErrorOfAnArgument(t *testing.T) {
	for cause, code := range map[error]api.Code{
		node.ErrInvalidKey:  api.CodeInvalid,
		node.ErrKeyLength:   api.CodeInvalid,
		node.ErrNegative:    api.CodeInvalid,
		node.ErrTTL:         api.CodeInvalid,
		records.ErrTooLarge: api.CodeTooLarge,
	} {
		var e *api.Error
		require.ErrorAs(t, nodeError(fmt.Errorf("%w: reason", cause)), &e, cause)
		require.Equal(t, code, e.Code, cause)
	}
}
