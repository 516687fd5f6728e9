// Package httphost reads the Host header of a request: the address or name that the
// client used. A page under a name that its owner resolves to this machine sends that
// name (DNS rebinding), so listeners without authentication check it.
package httphost
