package invalid

import "fmt"

// YAML runs decode, a call of the YAML library, which panics on some tags that no
// file of ours has: such a panic comes back as an error.
func YAML(decode func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the YAML can't be decoded: %v: look for a tag, such as !x", fault)
		}
	}()
	return decode()
}
