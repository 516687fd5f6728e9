//go:build !unix

package daemon

// giveBack: files have no owners as on Unix.
func giveBack(string) error { return nil }
