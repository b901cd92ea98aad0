"""llama.cpp's server out of PyPI's `xllamacpp`, for whoever does not want to build one: MODEL MMPROJ PORT."""

import signal
import sys


def main() -> None:
    """Serve until the process is ended."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = sys.argv[1:3]
    params.port = int(sys.argv[3])
    params.use_jinja, params.warmup, params.n_ctx, params.n_parallel, params.n_gpu_layers = True, False, 16384, 1, 0
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
