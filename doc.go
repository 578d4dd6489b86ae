// Package weir is the module's root: it holds no code of the program, only the tests that look at the
// whole of it. The binary is cmd/weir.
package weir
