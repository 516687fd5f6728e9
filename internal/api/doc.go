// Package api is the admin interface of a node: the interface Backend, a server that
// serves a Backend over a unix socket as HTTP with JSON, and a client that implements
// Backend.
//
// The command line uses only a Backend, so it works the same with a running daemon
// (Client) and with its own node. Errors keep their code across the socket:
// errors.Is(err, ErrNotFound) holds on both sides. The package also parses and formats
// the text form of keys.
//
// The package does not depend on a node: the server's caller implements Backend. The
// socket's file mode controls access; there is no other authentication.
package api
