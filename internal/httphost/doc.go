// Package httphost reads the Host header of a request: which address, or name, the
// client believes it asks. A page under a name that its owner has pointed at this machine
// sends that name (DNS rebinding), so listeners without authentication look at it.
package httphost
