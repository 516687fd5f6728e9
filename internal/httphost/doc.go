// Package httphost parses the Host header of a request: the address or name that the client
// believes it is talking to. In a DNS rebinding attack, a web page whose name resolves to
// this machine sends that name, so listeners without authentication check the header.
package httphost
