// Package floors has the tests of the architecture. They check which package may import
// which, what is banned below the I/O line, that every permission is needed, that every
// declaration has a use outside tests, that docs/ARCHITECTURE.md shows the floors that
// follow from the imports and the place of each rule it lists, and that tests name the
// bounds. The package has no code of its own, and no package imports it.
package floors
