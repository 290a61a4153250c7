package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// Read is the regular file at path, an absolute path at or below the folder
// root; name is the path as users see it. A symlink is followed as long as it
// stays within root (else ErrOutside); anything but a regular file is
// ErrNotRegular.
func Read(root, path, name string) (Document, error) {
	data, info, err := readBelow(root, path, unresolved)
	if err != nil { // a link, mostly
		data, info, err = readBelow(root, path, locate)
	}
	if err != nil {
		return Document{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return Document{Name: name, Path: path, Bytes: data, Mode: info.Mode() & modeBits}, nil
}

func readBelow(root, path string, find func(root, path string) (*place, error)) ([]byte, fs.FileInfo, error) {
	in, err := find(root, path)
	if err != nil {
		return nil, nil, err
	}
	defer in.root.Close()
	return in.read(os.O_RDONLY)
}

// Write durably replaces the bytes of a file below root that was read as doc:
// the file holds either the old or the new bytes, whatever happens, and keeps its
// mode, owner and access control list. A symlink within root stays; what it leads to is written. It is
// refused with ErrChanged if the file no longer holds doc.Bytes, and with
// ErrReadOnly, ErrNotRegular or ErrOutside. After any other error the file holds
// the old bytes, unless only the last sync of the folder failed.
func Write(root string, doc Document, data []byte) error {
	return writer{disk{}}.write(root, doc, data)
}

// Create durably writes doc to a file that must not be there yet: the error matches
// fs.ErrExist where it is. After any error there is no such file of ours.
func Create(doc Document) error {
	if err := writeNew(doc.Path, doc); err != nil {
		return fmt.Errorf("writing %s: %w", doc.Name, err)
	}
	return nil
}

// Backup leaves a copy of doc beside its file as NAME.backup.YYYYMMDD_HHMMSS,
// synced, with doc's mode, and returns its path. A copy of the same second with
// other bytes is an error.
func Backup(doc Document, at time.Time) (string, error) {
	path := doc.Path + ".backup." + at.Format("20060102_150405")
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, doc.Bytes) {
		return path, nil
	}
	if err := writeNew(path, doc); err != nil {
		return "", fmt.Errorf("backing up %s: %w", doc.Name, err)
	}
	return path, nil
}

func writeNew(path string, doc Document) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(doc.Bytes)
	err = errors.Join(err, f.Chmod(doc.Mode), f.Sync(), f.Close(), disk{}.SyncDir(filepath.Dir(path)))
	if err != nil {
		os.Remove(path)
	}
	return err
}

// modeBits are what chmod can keep.
const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// place is a file inside an opened root, with every symlink resolved.
type place struct {
	root *os.Root
	rel  string
	path string // absolute
}

// unresolved takes the path as it is: a file that is reached through no link, or
// only through such as stay below root, needs no more.
func unresolved(root, path string) (*place, error) {
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, ErrOutside
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	return &place{root: r, rel: rel, path: path}, nil
}

// locate resolves links first and opens the result below root, so that a link
// swapped in between is refused by the kernel-level root as well.
func locate(root, path string) (*place, error) {
	realRoot, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(realRoot, real)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, ErrOutside
	}
	r, err := os.OpenRoot(realRoot)
	if err != nil {
		return nil, err
	}
	return &place{root: r, rel: rel, path: real}, nil
}

func (in *place) read(flag int) ([]byte, fs.FileInfo, error) {
	// Asked before opening: opening a fifo or a device may block or do things.
	info, err := in.root.Lstat(in.rel)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, ErrNotRegular
	}
	f, err := in.root.OpenFile(in.rel, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data := bytes.NewBuffer(make([]byte, 0, min(info.Size(), 64<<10)+bytes.MinRead))
	_, err = data.ReadFrom(f)
	return data.Bytes(), info, err
}

// unchanged is the file's info if it may be written and still holds doc's bytes.
func (in *place) unchanged(doc Document) (fs.FileInfo, error) {
	// Opened for writing although it is only read: the mode's bits do not say
	// whether this user may, and a rename would ask the folder alone.
	data, info, err := in.read(os.O_RDWR)
	switch {
	case errors.Is(err, fs.ErrPermission) && in.writable():
		return nil, ErrNotAllowed
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, ErrReadOnly
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrChanged
	case err != nil:
		return nil, err
	case info.Mode()&0o222 == 0:
		return nil, ErrReadOnly
	case !bytes.Equal(data, doc.Bytes):
		return nil, ErrChanged
	}
	return info, nil
}

// writable: its mode lets somebody write it.
func (in *place) writable() bool {
	info, err := in.root.Lstat(in.rel)
	return err == nil && info.Mode()&0o222 != 0
}

// fsys is the part of the file system that can fail in the middle of a write.
type fsys interface {
	Temp(path string) (pending, error)
	SyncDir(dir string) error
}

// pending is a temporary file that will take another's place.
type pending interface {
	io.Writer
	Name() string
	Stat() (fs.FileInfo, error)
	Chown(uid, gid int) error
	Chmod(mode fs.FileMode) error
	Sync() error
	CloseAtomicallyReplace() error
	Cleanup() error
}

type disk struct{}

func (disk) Temp(path string) (pending, error) {
	return renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)))
}

func (disk) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type writer struct{ fs fsys }

func (w writer) write(root string, doc Document, data []byte) error {
	in, err := locate(root, doc.Path)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", doc.Name, err)
	}
	defer in.root.Close()
	if err := w.replace(in, doc, data); err != nil {
		return fmt.Errorf("writing %s: %w", doc.Name, err)
	}
	return nil
}

func (w writer) replace(in *place, doc Document, data []byte) (err error) {
	info, err := in.unchanged(doc)
	if err != nil {
		return err
	}
	tmp, err := w.fs.Temp(in.path)
	if err != nil {
		return err
	}
	defer tmp.Cleanup()
	if err := fill(tmp, in.path, info, data); err != nil {
		return err
	}
	// Again, at the last moment: filling and syncing took its time.
	if _, err := in.unchanged(doc); err != nil {
		return err
	}
	if err := tmp.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return w.fs.SyncDir(filepath.Dir(in.path))
}

func fill(tmp pending, old string, like fs.FileInfo, data []byte) error {
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := keepOwner(tmp, like); err != nil {
		return err
	}
	if err := keepACL(old, tmp.Name()); err != nil {
		return fmt.Errorf("keeping its access control list: %w", err)
	}
	// After the owner: a change of owner clears bits of the mode.
	if err := tmp.Chmod(like.Mode() & modeBits); err != nil {
		return err
	}
	return tmp.Sync()
}

func keepOwner(tmp pending, like fs.FileInfo) error {
	now, err := tmp.Stat()
	if err != nil {
		return err
	}
	want, ok := like.Sys().(*syscall.Stat_t)
	have, ok2 := now.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || (want.Uid == have.Uid && want.Gid == have.Gid) {
		return nil
	}
	if err := tmp.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keeping its owner %d:%d: %w", want.Uid, want.Gid, err)
	}
	return nil
}
