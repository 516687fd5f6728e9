// Package api is the admin interface of a node: Backend, a server that offers
// one over a unix socket as HTTP with JSON, and a client that is one.
//
// The command line speaks to a Backend only, so it does the same with a running
// daemon (Client) and with a node of its own. Errors keep their code across the
// socket: errors.Is(err, ErrNotFound) holds on both sides. The package also
// reads and writes the text form of keys.
//
// It knows no node: whoever serves implements Backend. Access is what the
// socket's file mode allows; there is no other authentication.
package api
