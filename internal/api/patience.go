package api

import (
	"context"
	"fmt"
	"time"
)

// patience bounds how long a client waits for a daemon that does not answer. The client
// waits for long operations as long as the daemon answers other requests.
type patience struct {
	every  time.Duration // between two checks that the daemon is alive, during an operation
	answer time.Duration // for the answer to a check; long, because a busy daemon is not a dead one
}

// defaultPatience ends an operation after 15 s if the daemon is paused or hangs.
var defaultPatience = patience{every: 5 * time.Second, answer: 10 * time.Second}

// errSilent is the cause of an operation that ended because the daemon did not answer.
type errSilent struct{ waited time.Duration }

// Error implements error.
func (e errSilent) Error() string { return fmt.Sprintf("no answer for %s", e.waited) }

// attended returns a context for an operation. It ends, with an errSilent as its cause,
// once the daemon does not answer a check. The caller calls done at the end.
func (c *Client) attended(ctx context.Context, op string) (attended context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(c.patience.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if !c.alive(ctx, op) {
				cancel(errSilent{c.patience.every + c.patience.answer})
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// alive reports whether the daemon answers. It requests the status, which needs the
// daemon's loop and database. During a debug bundle it requests the identity, which needs
// neither, because a bundle is made of a daemon whose loop hangs. Any answer counts, also
// an error.
func (c *Client) alive(ctx context.Context, during string) bool {
	question := opStatus
	if during == opDebugBundle {
		question = opIdentity
	}
	limited, cancel := context.WithTimeout(ctx, c.patience.answer)
	defer cancel()
	req, err := c.request(limited, question, request{})
	if err != nil {
		return true // the operation itself reports it
	}
	resp, err := c.http.Do(req)
	if err == nil {
		resp.Body.Close()
		return true
	}
	return limited.Err() == nil // an immediate error is left to the operation itself
}
