package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client is the Backend of a daemon behind a unix socket. Safe for concurrent use.
type Client struct {
	// Advice says what the user can do when no daemon answers. It is the end of that
	// error.
	Advice string

	socket   string
	http     *http.Client
	patience patience
}

// NewClient returns a client of the daemon at socket. It connects on first use. An
// operation may take any time as long as the daemon answers other requests; otherwise it
// fails after 15 s with ErrNoDaemon.
func NewClient(socket string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket) },
	}
	return &Client{socket: socket, http: &http.Client{Transport: transport}, patience: defaultPatience}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// send posts a request and returns the body of a successful answer.
func (c *Client) send(ctx context.Context, op string, args request) (io.ReadCloser, error) {
	req, err := c.request(ctx, op, args)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(ctx, op, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(&f); err != nil || f.Error == nil {
		return nil, Errorf(CodeInternal, "the daemon at %s answered %s with %s; is it of the same version?", c.socket, op, resp.Status)
	}
	return nil, f.Error
}

func (c *Client) request(ctx context.Context, op string, args request) (*http.Request, error) {
	body, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://holdfast"+pathPrefix+op, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return req, nil
}

func (c *Client) transportError(ctx context.Context, op string, err error) error {
	var dialing *net.OpError
	var silent errSilent
	switch {
	case errors.As(context.Cause(ctx), &silent):
		return Errorf(CodeNoDaemon, "the daemon at %s does not answer: waited %s for %s; it is paused, hangs, or the machine is overloaded: look at its log and at what the process does, or restart it", c.socket, silent.waited, op)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &dialing) && dialing.Op == "dial":
		return Errorf(CodeNoDaemon, "no daemon reached at %s (%v)%s", c.socket, dialing.Err, c.Advice)
	case isForeign(err):
		return c.foreign(op)
	case errors.Is(err, bufio.ErrTooLong):
		return Errorf(CodeInternal, "the daemon at %s answered %s with more than %d MiB in one piece; is it of the same version?", c.socket, op, maxLine>>20)
	}
	return Errorf(CodeNoDaemon, "the daemon at %s went away during %s: %v", c.socket, op, err)
}

// isForeign reports whether err comes from a complete answer that is not of this
// protocol.
func isForeign(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind)
}

func (c *Client) foreign(op string) error {
	return Errorf(CodeInternal, "the daemon at %s answered %s with an unexpected answer; is it of the same version?", c.socket, op)
}

// call runs an operation that has one answer; answer may be nil.
func (c *Client) call(ctx context.Context, op string, args request, answer any) error {
	ctx, done := c.attended(ctx, op)
	defer done()
	body, err := c.send(ctx, op, args)
	if err != nil {
		return err
	}
	defer body.Close()
	if answer == nil {
		answer = &struct{}{}
	}
	limited := &io.LimitedReader{R: body, N: maxLine + 1}
	err = json.NewDecoder(limited).Decode(answer)
	if limited.N == 0 {
		err = bufio.ErrTooLong
	}
	if err != nil {
		return c.transportError(ctx, op, err)
	}
	return nil
}

// decodeLine reads the next line of a streamed answer.
func decodeLine(lines *bufio.Scanner, l *line) error {
	if !lines.Scan() {
		return cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
	}
	err := json.Unmarshal(lines.Bytes(), l)
	if err != nil && !bytes.HasSuffix(lines.Bytes(), newline) {
		return cmp.Or(lines.Err(), err) // the answer was truncated in this line
	}
	return err
}

var newline = []byte{'\n'}

// splitLines is bufio.ScanLines, except that a line keeps its newline: without one it is
// truncated.
func splitLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// stream runs an operation and calls item with each item of the answer.
func (c *Client) stream(ctx context.Context, op string, args request, item func(json.RawMessage) error) error {
	ctx, done := c.attended(ctx, op)
	defer done()
	body, err := c.send(ctx, op, args)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	lines.Split(splitLines)
	for {
		var l line
		if err := decodeLine(lines, &l); err != nil {
			return c.transportError(ctx, op, err)
		}
		switch {
		case l.Error != nil:
			return l.Error
		case l.End:
			return nil
		}
		if err := item(l.Item); err != nil {
			return err
		}
	}
}

// list runs an operation and calls fn with each item of the answer.
func list[T any](ctx context.Context, c *Client, op string, args request, fn func(T) error) error {
	return c.stream(ctx, op, args, func(raw json.RawMessage) error {
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return c.foreign(op)
		}
		return fn(item)
	})
}
