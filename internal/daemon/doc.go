// Package daemon assembles a process: data directory, identity, database, libp2p host,
// node, admin socket, metrics and health. It starts them in this order and stops them in
// reverse order.
//
// Start returns a running Daemon, or an error with nothing left running. Close returns
// within ten seconds, whatever hangs. Client is the short-lived variant without disk or
// sockets. The package also handles log levels, systemd notification and reload. It does
// no protocol work.
package daemon
