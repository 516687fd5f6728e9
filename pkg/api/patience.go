package api

import (
	"context"
	"fmt"
	"time"
)

// patience bounds what a client waits for a daemon that shows no sign of life. Work
// that takes long is waited for as long as the daemon answers other questions.
type patience struct {
	every  time.Duration // between two questions whether the daemon is alive, while an operation lasts
	answer time.Duration // for the answer to one: a busy daemon is not a dead one
}

// defaultPatience ends an operation of a daemon that is paused or hangs after 15 s.
var defaultPatience = patience{every: 5 * time.Second, answer: 10 * time.Second}

// errSilent is the cause of an operation that ended because the daemon was silent.
type errSilent struct{ waited time.Duration }

// Error implements error.
func (e errSilent) Error() string { return fmt.Sprintf("no sign of life for %s", e.waited) }

// attended returns a context for an operation that ends, with an errSilent as its
// cause, once the daemon does not answer a question asked meanwhile. The caller calls
// done at the end.
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

// alive reports whether the daemon answers. It is asked for its status, which needs its
// loop and its database. During a debug bundle it is asked for its identity, which needs
// neither: the bundle is for a daemon whose loop hangs. Any answer will do, a refusal too.
func (c *Client) alive(ctx context.Context, during string) bool {
	question := opStatus
	if during == opDebugBundle {
		question = opIdentity
	}
	limited, cancel := context.WithTimeout(ctx, c.patience.answer)
	defer cancel()
	req, err := c.request(limited, question, request{})
	if err != nil {
		return true // the operation itself will tell
	}
	resp, err := c.http.Do(req)
	if err == nil {
		resp.Body.Close()
		return true
	}
	return limited.Err() == nil // an error that comes at once is the operation's own to tell
}
