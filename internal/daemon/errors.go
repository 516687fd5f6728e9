package daemon

import (
	"context"
	"errors"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// codes maps the errors of the node to codes of the admin API. The first match counts.
var codes = []struct {
	err  error
	code api.Code
	says string // message to the administrator; empty: the error's own
}{
	{node.ErrNotFound, api.CodeNotFound, ""},
	{records.ErrNotFound, api.CodeNotFound, ""},
	{node.ErrNoAnswer, api.CodeNoPeers, ""},
	{node.ErrInvalidKey, api.CodeInvalid, ""},
	{node.ErrKeyLength, api.CodeInvalid, ""},
	{node.ErrNegative, api.CodeInvalid, ""},
	{node.ErrTTL, api.CodeInvalid, ""},
	{records.ErrTooLarge, api.CodeTooLarge, ""},
	{records.ErrBusy, api.CodeBusy, "too many writes wait for the database; try again later"},
	{dht.ErrBusy, api.CodeBusy, "too many queries are running; try again later"},
	{storage.ErrDiskFull, api.CodeInternal, "the disk of the database is full"},
	{records.ErrFull, api.CodeInternal, "the database is full (storage.max_bytes)"},
	{storage.ErrFailed, api.CodeInternal, "the database accepts no writes until the daemon is restarted; its log says why"},
	{context.DeadlineExceeded, api.CodeTimeout, ""},
}

// nodeError converts an error of the node to one with its code.
func nodeError(err error) error {
	if err == nil {
		return nil
	}
	for _, c := range codes {
		switch {
		case !errors.Is(err, c.err):
		case c.says != "":
			return api.Errorf(c.code, "%s", c.says)
		case c.code == api.CodeTimeout:
			return api.Errorf(c.code, "no answer in time: %s", plain(err))
		default:
			return api.Errorf(c.code, "%s", plain(err))
		}
	}
	return err
}

// noPeers returns an error that says why no peer could be asked. An empty table needs
// bootstrap peers that can be reached; a table whose peers do not answer does not.
func (b *Backend) noPeers() error {
	s := b.node.Status()
	known := s.TablePeers
	if err := noneReached(s.Bootstraps.Last); known == 0 && err != nil {
		return api.Errorf(api.CodeNoPeers, "no peer could be asked: the routing table is empty, and %v", err)
	}
	if known == 0 {
		return api.Errorf(api.CodeNoPeers, "no peer could be asked: the routing table is empty; give bootstrap peers with --bootstrap or network.bootstrap")
	}
	return api.Errorf(api.CodeNoPeers, "no peer could be asked: the routing table has %s, and none answers; check this machine's connection to the network",
		english.Plural(known, "peer", ""))
}

// lookupError is nodeError for operations that ask the network.
func (b *Backend) lookupError(err error) error {
	if errors.Is(err, node.ErrNoPeers) {
		return b.noPeers()
	}
	return nodeError(err)
}

// keyError converts an error of the node to one that names the key.
func (b *Backend) keyError(key []byte, err error) error {
	if err == nil {
		return nil
	}
	mapped := b.lookupError(err)
	var e *api.Error
	if !errors.As(mapped, &e) {
		return mapped
	}
	text := api.KeyText(key)
	switch {
	case e.Code == api.CodeNotFound:
		return api.Errorf(e.Code, "nothing found under key %s", text).About(text)
	case errors.Is(err, node.ErrInvalidKey) && onlyNamespace(string(key)):
		return api.Errorf(e.Code, "the key %s ends after its namespace; write %s/KEY", text, strings.TrimSuffix(text, "/")).About(text)
	case errors.Is(err, node.ErrInvalidKey):
		return api.Errorf(e.Code, "the key %s is in no namespace that this node accepts (%s); use /namespace/..., or allow more on a private network with values.unvalidated_namespaces or values.raw_keys", text, strings.Join(b.node.Namespaces(), ", ")).About(text)
	case errors.Is(err, node.ErrKeyLength):
		return api.Errorf(e.Code, "the key %s has %d bytes; a provider key has 1 to %d", text, len(key), records.MaxKeyLen).About(text)
	}
	return e
}

// onlyNamespace reports whether a key is a namespace with nothing after it: "/example".
func onlyNamespace(key string) bool {
	ns, path, _ := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	return strings.HasPrefix(key, "/") && ns != "" && path == ""
}

func unpublishError(key []byte, err error) error {
	if errors.Is(err, node.ErrNotFound) {
		text := api.KeyText(key)
		return api.Errorf(api.CodeNotFound, "this node does not publish key %s; `holdfast provides` lists what it does", text).About(text)
	}
	return nodeError(err)
}

func (b *Backend) peerError(target string, err error) error {
	if errors.Is(err, node.ErrNotFound) {
		return api.Errorf(api.CodeNotFound, "no peer knows an address of %s", target)
	}
	return b.lookupError(err)
}

// plain puts a message on one line, because libp2p lists failed dials on separate lines.
func plain(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
