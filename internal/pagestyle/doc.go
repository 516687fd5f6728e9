// Package pagestyle is the common style of the pages that commands write to files: the
// trace of a lookup and the report of a simulation. A page needs no script and loads
// nothing.
//
// It is pure.
package pagestyle
