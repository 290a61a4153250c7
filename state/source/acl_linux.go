package source

import (
	"errors"

	"golang.org/x/sys/unix"
)

const accessACL = "system.posix_acl_access"

// keepACL gives the file to the access control list of the file from: none where that
// has none, whatever the folder's default says.
func keepACL(from, to string) error {
	list := make([]byte, 64<<10) // as long as an attribute may be
	n, err := unix.Getxattr(from, accessACL, list)
	switch {
	case err == nil:
		return unix.Setxattr(to, accessACL, list[:n], 0)
	case errors.Is(err, unix.ENODATA):
		err = unix.Removexattr(to, accessACL)
	}
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
