// Package disktest provides a writer for tests that fails as a full disk does.
package disktest
