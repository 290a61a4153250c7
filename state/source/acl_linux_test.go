package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// aclOf is a list that lets one user read and write beside the owner's rights.
func aclOf(user uint32) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, uint32(2))
	for _, e := range []struct {
		Tag, Perm uint16
		ID        uint32
	}{{1, 6, 0xffffffff}, {2, 6, user}, {4, 4, 0xffffffff}, {16, 6, 0xffffffff}, {32, 4, 0xffffffff}} {
		binary.Write(&b, binary.LittleEndian, e)
	}
	return b.Bytes()
}

func aclAt(t *testing.T, path string) []byte {
	t.Helper()
	out := make([]byte, 1000)
	n, err := unix.Getxattr(path, accessACL, out)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return out[:n]
}

// A file keeps its own access control list, and gets none from its folder.
func TestWriteKeepsACL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, folder []byte }{
		"a list":                        {aclOf(1234), nil},
		"another than the folder gives": {aclOf(1234), aclOf(4321)},
		"none, where the folder gives":  {nil, aclOf(4321)},
		"none":                          {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "a.hcl")
			if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
				t.Fatal(err)
			}
			for at, acl := range map[string]struct {
				attr string
				list []byte
			}{path: {accessACL, c.file}, dir: {"system.posix_acl_default", c.folder}} {
				if acl.list == nil {
					continue
				}
				if err := unix.Setxattr(at, acl.attr, acl.list, 0); errors.Is(err, unix.ENOTSUP) {
					t.Skip("this file system keeps no access control lists")
				} else if err != nil {
					t.Fatal(err)
				}
			}
			doc, err := Read(dir, path, "a.hcl")
			if err != nil {
				t.Fatal(err)
			}
			before := aclAt(t, path)
			if err := Write(dir, doc, []byte("new")); err != nil {
				t.Fatal(err)
			}
			after, err := Read(dir, path, "a.hcl")
			if err != nil || string(after.Bytes) != "new" || after.Mode != doc.Mode {
				t.Errorf("%q, %v, %v", after.Bytes, after.Mode, err)
			}
			if got := aclAt(t, path); !bytes.Equal(got, before) {
				t.Errorf("%x, want %x", got, before)
			}
		})
	}
}
