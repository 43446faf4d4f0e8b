/* Runs a TensorFlow Lite file on one thread with XNNPACK, as emotiond does, for `scripts/pi-cost FILE`, which counts its
 * instructions: the input is all zeros, whose values the count does not depend on.
 *
 *   invoke MODEL.tflite
 *
 * Warms up once, then asks for the resolution of its thread's clock before and after ROUNDS more runs: `count.c` marks that. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/delegates/xnnpack/xnnpack_delegate.h"

enum { ROUNDS = 1 };

static void mark(void)
{
    struct timespec resolution;
    clock_getres(CLOCK_THREAD_CPUTIME_ID, &resolution);
}

int main(int count, char **arguments)
{
    if (count != 2)
        return fputs("usage: invoke MODEL.tflite\n", stderr), 64;
    TfLiteModel *model = TfLiteModelCreateFromFile(arguments[1]);
    if (!model)
        return fprintf(stderr, "%s: not a TensorFlow Lite file\n", arguments[1]), 1;
    TfLiteXNNPackDelegateOptions settings = TfLiteXNNPackDelegateOptionsDefault();
    settings.num_threads = 1;
    TfLiteInterpreterOptions *options = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsSetNumThreads(options, 1);
    TfLiteInterpreterOptionsAddDelegate(options, TfLiteXNNPackDelegateCreate(&settings));
    TfLiteInterpreter *interpreter = TfLiteInterpreterCreate(model, options);
    if (!interpreter || TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk)
        return fprintf(stderr, "%s: TensorFlow Lite %s cannot prepare it\n", arguments[1], TfLiteVersion()), 1;
    for (int input = 0; input < TfLiteInterpreterGetInputTensorCount(interpreter); input++) {
        TfLiteTensor *tensor = TfLiteInterpreterGetInputTensor(interpreter, input);
        memset(TfLiteTensorData(tensor), 0, TfLiteTensorByteSize(tensor));
    }
    for (int round = 0; round <= ROUNDS; round++) {
        if (round == 1)
            mark();
        if (TfLiteInterpreterInvoke(interpreter) != kTfLiteOk)
            return fprintf(stderr, "%s: TensorFlow Lite %s failed to run it\n", arguments[1], TfLiteVersion()), 1;
    }
    mark();
    printf("%d\n", ROUNDS);
    return 0;
}
