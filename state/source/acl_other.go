//go:build !linux

package source

func keepACL(string, string) error { return nil }
