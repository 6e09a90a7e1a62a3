package place

import (
	"errors"
	"syscall"

	"warren.dev/agent/internal/connect"
)

var codeOf = map[syscall.Errno]string{
	syscall.ENOENT:       "not_found",
	syscall.EEXIST:       "already_exists",
	syscall.EISDIR:       "invalid_argument",
	syscall.ENOTDIR:      "invalid_argument",
	syscall.EINVAL:       "invalid_argument",
	syscall.ENAMETOOLONG: "invalid_argument",
	syscall.ELOOP:        "failed_precondition",
	syscall.ENOTEMPTY:    "failed_precondition",
	syscall.EROFS:        "failed_precondition",
	syscall.EXDEV:        "failed_precondition",
	syscall.ETXTBSY:      "failed_precondition",
	syscall.EBUSY:        "failed_precondition",
	syscall.EACCES:       "permission_denied",
	syscall.EPERM:        "permission_denied",
	syscall.ENOSPC:       "resource_exhausted",
	syscall.EDQUOT:       "resource_exhausted",
	syscall.EMFILE:       "resource_exhausted",
}

// Error says what could not be done, with the Connect code of the kernel's reason; nil stays nil.
func Error(what, path string, err error) error {
	if err == nil {
		return nil
	}
	var known *connect.Error
	if errors.As(err, &known) {
		return known
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		return connect.Errorf("internal", "cannot %s '%s': %v", what, path, err)
	}
	code, named := codeOf[number]
	if !named {
		code = "internal"
	}
	return connect.Errorf(code, "cannot %s '%s': %v", what, path, number)
}
