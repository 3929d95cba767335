module kata-audit.test/goja

go 1.25

require github.com/dop251/goja v0.0.0-20250309171923-bcd7cc6bf64c
