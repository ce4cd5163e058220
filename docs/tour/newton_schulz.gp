# Draws newton_schulz.svg: gnuplot newton_schulz.gp
set terminal svg size 640,400 font "sans-serif,13" background "white"
set output "newton_schulz.svg"
p(x) = x * (3 - x * x) / 2
set title "What k steps make of a singular value"
set xlabel "singular value s, relative to the norm"
set ylabel "p_k(s)"
set xrange [0:1]
set yrange [0:1.05]
set samples 400
set key outside right
set grid linecolor rgb "#dddddd"
plot x title "raw" with lines linewidth 2 linecolor rgb "#999999", \
     p(x) title "1 step" with lines linewidth 2 linecolor rgb "#9ecae1", \
     p(p(p(x))) title "3 steps" with lines linewidth 2 linecolor rgb "#4292c6", \
     p(p(p(p(p(x))))) title "5 steps" with lines linewidth 3 linecolor rgb "#08306b", \
     p(p(p(p(p(p(p(p(x)))))))) title "8 steps" with lines linewidth 2 linecolor rgb "#d95f02"
