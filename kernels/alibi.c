#include "alibi.h"

#include <math.h>

void vnp_alibi_slopes(float *slopes, int heads)
{
    int power = 1;
    while (power <= heads / 2)
        power *= 2;
    for (int h = 0; h < power; h++)
        slopes[h] = (float)exp2(-8.0 * (h + 1) / power);
    for (int h = power; h < heads; h++)
        slopes[h] = (float)exp2(-4.0 * (2 * (h - power) + 1) / power);
}
