declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
define void @f(ptr noalias %x0, ptr noalias %y, i64 %n) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p0 = getelementptr float, ptr %x0, i64 %i
  %a0 = load <8 x float>, ptr %p0, align 4
  %m0 = fcmp ogt <8 x float> %a0, splat (float 0x4056400000000000)
  %m1 = select <8 x i1> %m0, <8 x float> splat (float 0x4056400000000000), <8 x float> %a0
  %m2 = fcmp olt <8 x float> %m1, splat (float 0xC05A000000000000)
  %m3 = select <8 x i1> %m2, <8 x float> splat (float 0x0000000000000000), <8 x float> %m1
  %m4 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m3, <8 x float> splat (float 0x3FF7154760000000), <8 x float> splat (float 0x4168000FE0000000))
  %m5 = fsub <8 x float> %m4, splat (float 0x4168000FE0000000)
  %m6 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m5, <8 x float> splat (float 0xBFE62E4000000000), <8 x float> %m3)
  %m7 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m5, <8 x float> splat (float 0xBEB7F7D1C0000000), <8 x float> %m6)
  %m8 = call <8 x float> @llvm.fma.v8f32(<8 x float> splat (float 0x3F56B6B180000000), <8 x float> %m7, <8 x float> splat (float 0x3F8122A3E0000000))
  %m9 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m8, <8 x float> %m7, <8 x float> splat (float 0x3FA55571E0000000))
  %m10 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m9, <8 x float> %m7, <8 x float> splat (float 0x3FC5554AC0000000))
  %m11 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m10, <8 x float> %m7, <8 x float> splat (float 0x3FDFFFFFE0000000))
  %m12 = fmul <8 x float> %m7, %m7
  %m13 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m12, <8 x float> %m11, <8 x float> %m7)
  %m14 = fadd <8 x float> %m13, splat (float 0x3FF0000000000000)
  %m15 = call <8 x float> @llvm.fma.v8f32(<8 x float> %m5, <8 x float> splat (float 0x3FE0000000000000), <8 x float> splat (float 0x4168000FE0000000))
  %m16 = fsub <8 x float> %m15, splat (float 0x4168000FE0000000)
  %m17 = fsub <8 x float> %m5, %m16
  %m18 = fadd <8 x float> %m17, splat (float 0x4168000FE0000000)
  %m19 = bitcast <8 x float> %m15 to <8 x i32>
  %m20 = shl <8 x i32> %m19, splat (i32 23)
  %m21 = bitcast <8 x i32> %m20 to <8 x float>
  %m22 = fmul <8 x float> %m14, %m21
  %m23 = bitcast <8 x float> %m18 to <8 x i32>
  %m24 = shl <8 x i32> %m23, splat (i32 23)
  %m25 = bitcast <8 x i32> %m24 to <8 x float>
  %m26 = fmul <8 x float> %m22, %m25
  %m27 = select <8 x i1> %m2, <8 x float> splat (float 0x0000000000000000), <8 x float> %m26
  %q = getelementptr float, ptr %y, i64 %i
  store <8 x float> %m27, ptr %q, align 4
  %next = add i64 %i, 8
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
