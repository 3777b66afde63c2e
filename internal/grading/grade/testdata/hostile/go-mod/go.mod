module distlabs

go 1.26.0

replace distlabs/internal/harness/report => ./vendor/report

toolchain go9.99.9
