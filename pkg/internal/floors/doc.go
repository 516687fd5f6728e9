// Package floors holds the tests of the architecture: which package may import
// which, what is banned below the I/O line, that nothing is permitted which no file
// needs, that nothing is declared which only tests use, that docs/ARCHITECTURE.md shows
// the floors as the imports make them and the place of each rule it lists, and that tests
// name the bounds. It has no code of its own and is imported by nobody.
package floors
