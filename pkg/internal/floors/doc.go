// Package floors holds the test that keeps the house standing: which package may
// import which, and what is banned below the I/O line. It has no code of its own
// and is imported by nobody.
package floors
