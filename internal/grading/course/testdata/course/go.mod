module distlabs

go 1.26.0
